# Portico's tables and bucket, for those who keep such things in Terraform; docs/aws.md tells of each.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.36"
    }
  }
}

variable "prefix" {
  description = "What each table's name begins with. The variables DYNAMO_TABLE_* must name the tables then."
  type        = string
  default     = ""
}

variable "bucket_name" {
  description = "The bucket of uploaded files, S3_BUCKET_NAME. No other account may have one of this name."
  type        = string
}

variable "allowed_origins" {
  description = "The origins whose pages upload to the bucket by presigned URLs, such as https://app.example.com."
  type        = list(string)
  default     = []
}

resource "aws_dynamodb_table" "users" {
  name                        = "${var.prefix}users"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "user_id"
  deletion_protection_enabled = true

  attribute {
    name = "email"
    type = "S"
  }

  attribute {
    name = "list_shard"
    type = "S"
  }

  attribute {
    name = "user_id"
    type = "S"
  }

  attribute {
    name = "username"
    type = "S"
  }

  global_secondary_index {
    name            = "username-index"
    projection_type = "ALL"

    key_schema {
      attribute_name = "username"
      key_type       = "HASH"
    }
  }

  global_secondary_index {
    name            = "email-index"
    projection_type = "ALL"

    key_schema {
      attribute_name = "email"
      key_type       = "HASH"
    }
  }

  global_secondary_index {
    name            = "list_shard-user_id-index"
    projection_type = "ALL"

    key_schema {
      attribute_name = "list_shard"
      key_type       = "HASH"
    }

    key_schema {
      attribute_name = "user_id"
      key_type       = "RANGE"
    }
  }

  point_in_time_recovery {
    enabled = true
  }
}

resource "aws_dynamodb_table" "sessions" {
  name                        = "${var.prefix}sessions"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "session_id"
  deletion_protection_enabled = true

  attribute {
    name = "refresh_token"
    type = "S"
  }

  attribute {
    name = "session_id"
    type = "S"
  }

  attribute {
    name = "user_id"
    type = "S"
  }

  global_secondary_index {
    name            = "user_id-index"
    projection_type = "ALL"

    key_schema {
      attribute_name = "user_id"
      key_type       = "HASH"
    }
  }

  global_secondary_index {
    name            = "refresh_token-index"
    projection_type = "ALL"

    key_schema {
      attribute_name = "refresh_token"
      key_type       = "HASH"
    }
  }

  ttl {
    attribute_name = "purge_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }
}

resource "aws_dynamodb_table" "statuses" {
  name                        = "${var.prefix}statuses"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "status_id"
  deletion_protection_enabled = true

  attribute {
    name = "status_id"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }
}

resource "aws_dynamodb_table" "devices" {
  name                        = "${var.prefix}devices"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "device_id"
  deletion_protection_enabled = true

  attribute {
    name = "device_id"
    type = "S"
  }

  attribute {
    name = "device_uuid"
    type = "S"
  }

  attribute {
    name = "user_id"
    type = "S"
  }

  global_secondary_index {
    name            = "user_id-index"
    projection_type = "ALL"

    key_schema {
      attribute_name = "user_id"
      key_type       = "HASH"
    }
  }

  global_secondary_index {
    name            = "device_uuid-index"
    projection_type = "ALL"

    key_schema {
      attribute_name = "device_uuid"
      key_type       = "HASH"
    }
  }

  point_in_time_recovery {
    enabled = true
  }
}

resource "aws_dynamodb_table" "notifications" {
  name                        = "${var.prefix}notifications"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "notification_id"
  deletion_protection_enabled = true

  attribute {
    name = "created_at"
    type = "S"
  }

  attribute {
    name = "notification_id"
    type = "S"
  }

  attribute {
    name = "unread_of"
    type = "S"
  }

  attribute {
    name = "user_id"
    type = "S"
  }

  global_secondary_index {
    name            = "user_id-created_at-index"
    projection_type = "ALL"

    key_schema {
      attribute_name = "user_id"
      key_type       = "HASH"
    }

    key_schema {
      attribute_name = "created_at"
      key_type       = "RANGE"
    }
  }

  global_secondary_index {
    name            = "unread_of-notification_id-index"
    projection_type = "ALL"

    key_schema {
      attribute_name = "unread_of"
      key_type       = "HASH"
    }

    key_schema {
      attribute_name = "notification_id"
      key_type       = "RANGE"
    }
  }

  ttl {
    attribute_name = "purge_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }
}

resource "aws_dynamodb_table" "files" {
  name                        = "${var.prefix}files"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "file_id"
  deletion_protection_enabled = true

  attribute {
    name = "file_id"
    type = "S"
  }

  attribute {
    name = "uploaded_by_user_id"
    type = "S"
  }

  global_secondary_index {
    name            = "uploaded_by_user_id-index"
    projection_type = "ALL"

    key_schema {
      attribute_name = "uploaded_by_user_id"
      key_type       = "HASH"
    }
  }

  point_in_time_recovery {
    enabled = true
  }
}

resource "aws_dynamodb_table" "user_verifications" {
  name                        = "${var.prefix}user_verifications"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "user_id"
  range_key                   = "type"
  deletion_protection_enabled = true

  attribute {
    name = "type"
    type = "S"
  }

  attribute {
    name = "user_id"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }
}

resource "aws_dynamodb_table" "app_versions" {
  name                        = "${var.prefix}app_versions"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "version_id"
  deletion_protection_enabled = true

  attribute {
    name = "version_id"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }
}

resource "aws_dynamodb_table" "outbox" {
  name                        = "${var.prefix}outbox"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "message_id"
  deletion_protection_enabled = true

  attribute {
    name = "due_at"
    type = "S"
  }

  attribute {
    name = "message_id"
    type = "S"
  }

  attribute {
    name = "shard"
    type = "S"
  }

  global_secondary_index {
    name            = "shard-due_at-index"
    projection_type = "ALL"

    key_schema {
      attribute_name = "shard"
      key_type       = "HASH"
    }

    key_schema {
      attribute_name = "due_at"
      key_type       = "RANGE"
    }
  }

  point_in_time_recovery {
    enabled = true
  }
}

resource "aws_dynamodb_table" "counters" {
  name                        = "${var.prefix}counters"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "counter_id"
  deletion_protection_enabled = true

  attribute {
    name = "counter_id"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }
}

resource "aws_s3_bucket" "files" {
  bucket = var.bucket_name
}

resource "aws_s3_bucket_public_access_block" "files" {
  bucket                  = aws_s3_bucket.files.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "files" {
  bucket = aws_s3_bucket.files.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "files" {
  bucket = aws_s3_bucket.files.id

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  rule {
    id     = "deleted-files"
    status = "Enabled"

    filter {}

    expiration {
      expired_object_delete_marker = true
    }

    noncurrent_version_expiration {
      noncurrent_days = 35
    }
  }
}

resource "aws_s3_bucket_cors_configuration" "files" {
  count  = length(var.allowed_origins) > 0 ? 1 : 0
  bucket = aws_s3_bucket.files.id

  cors_rule {
    allowed_origins = var.allowed_origins
    allowed_methods = ["PUT"]
    allowed_headers = ["content-type", "if-none-match", "x-amz-checksum-sha256"]
    max_age_seconds = 3600
  }
}
