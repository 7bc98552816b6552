/** Order of the UTF-8 bytes, which is that of code points: a surrogate sorts behind the rest of its plane. */
export const byBytes = (left: string, right: string): number => {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const [a, b] = [left.charCodeAt(index), right.charCodeAt(index)];
    if (a === b) continue;
    const surrogates = (a >= 0xd800 && a <= 0xdfff ? 1 : 0) - (b >= 0xd800 && b <= 0xdfff ? 1 : 0);
    return surrogates === 0 ? a - b : surrogates;
  }
  return left.length - right.length;
};
