/** HTTP protocol binding of CloudEvents 1.0, section 3.1.3.2: how attributes stand in header fields. */

/** Only visible ASCII comes out, so that no value ends its field. @param text Without lone surrogates. */
export const encodeHeaderValue = (text: string): string =>
  text.replace(/[^!#$&-~]/gu, (character) => encodeURIComponent(character));

const quoted = /^"((?:[^"\\]|\\.)*)"$/;
const plain = /^[ -~]*$/;

/** The text that a field's value stands for; undefined when its quotes, its percent-encoding or its bytes are broken. */
export const decodeHeaderValue = (value: string): string | undefined => {
  if (!plain.test(value)) return undefined;
  let text = value;
  if (value.startsWith('"')) {
    const inner = quoted.exec(value)?.[1];
    if (inner === undefined) return undefined;
    text = inner.replace(/\\(.)/g, '$1');
  }
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};
