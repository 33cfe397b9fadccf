/*
 * What the page is drawn with: elements are made anew at each look and laid over those that are there, so that focus, selection and open
 * details stay where they are.
 */

const svgNamespace = 'http://www.w3.org/2000/svg';
const svgTags = new Set(['svg', 'g', 'path', 'rect', 'line', 'text', 'circle', 'title', 'desc', 'polyline']);

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element: `h('p', { class: 'note' }, 'text')`. Attributes that are null, undefined or false are left out.
 * @param {string} tag
 * @param {Readonly<Record<string, string | number | boolean | null | undefined>>} [attributes]
 * @param {...(Child | readonly Child[])} children
 * @returns {Element}
 */
export function h(tag, attributes = {}, ...children) {
  const element = svgTags.has(tag)
    ? document.createElementNS(svgNamespace, tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/**
 * Makes the content of `id` be `children`, changing only what differs.
 * @param {string} id
 * @param {...(Child | readonly Child[])} children
 */
export function fill(id, ...children) {
  const element = document.getElementById(id);
  if (element !== null) layOver(element, h(element.tagName.toLowerCase(), {}, ...children), false);
}

/**
 * @param {Element} there
 * @param {Element} wanted
 * @param {boolean} ownAttributes
 */
function layOver(there, wanted, ownAttributes) {
  if (ownAttributes) copyAttributes(there, wanted);
  const now = [...there.childNodes];
  const then = [...wanted.childNodes];
  for (const [i, node] of then.entries()) {
    const old = now[i];
    if (old === undefined) there.append(node);
    else if (old.nodeType !== node.nodeType || old.nodeName !== node.nodeName) there.replaceChild(node, old);
    else if (old instanceof Element && node instanceof Element) layOver(old, node, true);
    else if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue;
  }
  for (const old of now.slice(then.length)) old.remove();
}

/**
 * @param {Element} there
 * @param {Element} wanted
 */
function copyAttributes(there, wanted) {
  for (const name of there.getAttributeNames()) if (!wanted.hasAttribute(name)) there.removeAttribute(name);
  for (const { name, value } of wanted.attributes) {
    if (there.getAttribute(name) !== value) there.setAttribute(name, value);
  }
}

/**
 * What is drawn in place of something that could not be looked at.
 * @template T
 * @param {import('../look/snapshot.ts').Part<T>} part
 * @param {(value: T) => Child | readonly Child[]} draw
 * @returns {Child | readonly Child[]}
 */
export function part(part, draw) {
  if (part.ok) return draw(part.value);
  return h(
    'p',
    { class: 'unseen' },
    h('strong', {}, 'Cannot be seen. '),
    part.reason,
    ' ',
    h('code', {}, part.code),
  );
}
