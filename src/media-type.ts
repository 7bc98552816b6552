/** What a Content-Type says (RFC 9110, 8.3.1), in lower case. `charsets` has one entry per such parameter. */
export type MediaType = { readonly type: string; readonly charsets: readonly string[] };

/** Reads a Content-Type leniently: whether it is well-formed, `isMediaType` tells. */
export const mediaTypeOf = (text: string): MediaType => {
  const [type = '', ...parameters] = text.toLowerCase().split(';');
  const charsets: string[] = [];
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=', 2);
    if (name.trim() === 'charset') charsets.push(value.trim().replaceAll('"', ''));
  }
  return { type: type.trim(), charsets };
};

/** True when the text is UTF-8 by what it says, or says nothing. */
export const isUtf8Type = ({ charsets }: MediaType): boolean =>
  charsets.every((charset) => charset === 'utf-8' || charset === 'utf8');

const token = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
const mediaTypeForm = new RegExp(
  `^${token}/${token}(?:[ \\t]*;[ \\t]*${token}=(?:${token}|"(?:[ !#-\\[\\]-~]|\\\\[ -~])*"))*$`,
);

/** True for a media type as RFC 2046 writes it, parameters included: visible ASCII and spaces, one line. */
export const isMediaType = (text: string): boolean => mediaTypeForm.test(text);

/** True when the data is JSON: a subtype `json`, or one that ends in `+json`. */
export const isJsonType = ({ type }: MediaType): boolean => type.endsWith('/json') || type.endsWith('+json');
