/** Mixes all bits of a 32-bit number into all (the finalizer of MurmurHash3). */
export const mix = (value: number): number => {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
};

/** 32 bits of a text, equal on every node: FNV-1a over its UTF-16 code units, mixed. Not for secrets. */
export const hashOf = (text: string, seed = 0): number => {
  let hash = 0x811c9dc5 ^ seed;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return mix(hash);
};
