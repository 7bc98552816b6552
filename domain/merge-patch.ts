import type { Json } from './event.ts';
import { isJsonObject } from './json.ts';

/**
 * Applies a JSON merge patch (RFC 7396): members that are null go, objects are merged, everything else replaces what was
 * there. `target` undefined is a value that does not exist yet.
 */
export const mergePatch = (target: Json | undefined, patch: Json): Json => {
  if (!isJsonObject(patch)) return patch;
  const merged: { [key: string]: Json } = isJsonObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = mergePatch(Object.hasOwn(merged, name) ? merged[name] : undefined, value);
  }
  return merged;
};
