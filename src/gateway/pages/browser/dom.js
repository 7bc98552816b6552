/**
 * An element with attributes and children. A text is always a text node: nothing that the hub answers becomes markup.
 *
 * @param {string} tag
 * @param {Record<string, string>} attributes `class`, `title` and so on; never a style or a handler.
 * @param {...(Node | string | number | null)} children null is left out.
 */
export const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  for (const child of children)
    if (child !== null) made.append(child instanceof Node ? child : String(child));
  return made;
};

/** A table row of cells. */
export const row = (...cells) =>
  element('tr', {}, ...cells.map((cell) => element('td', {}, cell === undefined ? '' : cell)));

export const table = (headings, rows) =>
  element(
    'table',
    {},
    element('thead', {}, element('tr', {}, ...headings.map((text) => element('th', { scope: 'col' }, text)))),
    element('tbody', {}, ...rows),
  );

export const byId = (id) => document.getElementById(id);

/** Text in which `code` stands between backticks. */
export const prose = (text) =>
  element(
    'span',
    {},
    ...text.split('`').map((part, index) => (index % 2 === 1 ? element('code', {}, part) : part)),
  );

export const shownJson = (value) => element('pre', {}, JSON.stringify(value, null, 2));
