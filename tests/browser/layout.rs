//! What makes a page legible: it fits its window, and its words stand out from what is behind them.

use serde_json::json;

use crate::browser::Browser;

/// The width of a desk's window.
pub(crate) const LARGE: u32 = 1280;
/// The width of a phone's.
pub(crate) const SMALL: u32 = 390;

/// The width that the page takes.
const WIDTH: &str = "return document.documentElement.scrollWidth";

/// Words that are seen and contrast by less than WCAG 2.2 asks of them (1.4.3: 4.5, and 3 for large ones),
/// and the lightness of the page. Colours are mixed by painting them, so that any notation and transparency
/// counts.
const CONTRAST: &str = "
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    const context = canvas.getContext('2d', {willReadFrequently: true});
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;

    const painted = new Map();
    function paint(colors) {
        const key = colors.join();
        if (!painted.has(key)) {
            for (const color of [dark ? '#121212' : '#fff', ...colors]) {
                context.fillStyle = color;
                context.fillRect(0, 0, 1, 1);
            }
            const [red, green, blue] = [...context.getImageData(0, 0, 1, 1).data].map(value => {
                const share = value / 255;
                return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            });
            painted.set(key, 0.2126 * red + 0.7152 * green + 0.0722 * blue);
        }
        return painted.get(key);
    }

    function faint(element) {
        const style = getComputedStyle(element);
        const layers = [];
        let opacity = 1;
        for (let around = element; around; around = around.parentElement) {
            const {backgroundColor, opacity: own} = getComputedStyle(around);
            layers.unshift(backgroundColor);
            opacity *= own;
        }
        const behind = paint(layers);
        const front = paint([...layers, `color-mix(in srgb, ${style.color} ${opacity * 100}%, transparent)`]);
        const ratio = (Math.max(front, behind) + 0.05) / (Math.min(front, behind) + 0.05);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
        return ratio < (large ? 3 : 4.5) ? ratio.toFixed(2) : null;
    }

    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = new Set();
    let words = 0;
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
        words++;
        const ratio = faint(element);
        if (ratio) found.add(`${ratio}: ${element.outerHTML.slice(0, 120)}`);
    }
    return {words, faint: [...found], page: paint([getComputedStyle(document.body).backgroundColor])}";

/// Asserts that the page does not scroll sideways, that all its words are easy to read, and that it is
/// dark where that is preferred.
pub(crate) async fn assert_legible(browser: &Browser, scheme: &str, width: u32) {
    let taken = browser.evaluate(WIDTH).await;
    assert!(taken.as_u64() <= Some(width.into()), "{taken} pixels in a window of {width}");
    let contrast = browser.evaluate(CONTRAST).await;
    assert!(contrast["words"].as_u64() > Some(0), "{contrast}");
    assert_eq!(contrast["faint"], json!([]), "{scheme}");
    let lightness = contrast["page"].as_f64().expect("a number");
    assert!(if scheme == "dark" { lightness < 0.1 } else { lightness > 0.8 }, "{scheme}: {lightness}");
}
