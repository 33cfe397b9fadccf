/*
 * What a test has a browser do within a page. Checked with the page's own types: services/console/page/tsconfig.json.
 */

/** Pixels by which the page is wider than its window. */
export function overhang() {
  return document.documentElement.scrollWidth - window.innerWidth;
}

/** What has the focus: its id, or else what it is. */
export function focused() {
  const { activeElement: element } = document;
  return element?.id || (element?.tagName.toLowerCase() ?? '');
}

/** How many animations run. */
export function animationsRunning() {
  return document.getAnimations().filter(({ playState }) => playState === 'running').length;
}

/** Texts whose contrast to what is behind them is below 4.5 (WCAG 2.2, 1.4.3), each with its contrast. */
export function faintTexts() {
  const colour = (/** @type {string} */ text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (/** @type {number[]} */ [r = 0, g = 0, b = 0]) => {
    const part = (/** @type {number} */ value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (/** @type {Element} */ element) => {
    for (let at = element; ; at = at.parentElement ?? at) {
      const own = colour(getComputedStyle(at).backgroundColor);
      if (own.length === 3 || own[3] === 1) return own;
      if (at.parentElement === null) return [255, 255, 255];
    }
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    const text = node.textContent?.trim() ?? '';
    if (element === null || text === '' || element.closest('.hidden, .skip, script, noscript') !== null)
      continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ink = luminance(colour(element.closest('svg') === null ? style.color : style.fill));
    const behind = luminance(ground(element));
    const contrast = (Math.max(ink, behind) + 0.05) / (Math.min(ink, behind) + 0.05);
    if (contrast < 4.5) faint.push(`${contrast.toFixed(2)} ${element.outerHTML.slice(0, 60)}`);
  }
  return faint;
}
