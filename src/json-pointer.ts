/** A JSON pointer (RFC 6901) to a place in a JSON value; the root is the empty text. */
export const jsonPointer = (path: readonly PropertyKey[]): string =>
  path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
