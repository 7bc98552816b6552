const uncloneable = (what: string): never => {
  throw new TypeError(`structuredClone: ${what} cannot be cloned`);
};

const typedArrays = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const;

const errors: Readonly<Record<string, ErrorConstructor>> = Object.assign(Object.create(null), {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
});

/** Of an array that is viewed the bytes that are seen, not all that stand behind them. */
const cloneView = (view: ArrayBufferView): ArrayBufferView => {
  if (view instanceof DataView) {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    return new DataView(new Uint8Array(bytes).buffer);
  }
  for (const Typed of typedArrays) if (view instanceof Typed) return view.slice();
  return uncloneable('this view');
};

/** `structuredClone` of what the standard can clone and V8 has: no transfer. */
export const structuredClone = (value: unknown): unknown => {
  const seen = new Map<object, object>();
  const copy = (from: unknown): unknown => {
    if (typeof from === 'function' || typeof from === 'symbol') return uncloneable(`a ${typeof from}`);
    if (typeof from !== 'object' || from === null) return from;
    const known = seen.get(from);
    if (known !== undefined) return known;
    const made = empty(from);
    seen.set(from, made);
    fill(from, made);
    return made;
  };
  const empty = (from: object): object => {
    if (Array.isArray(from)) return new Array(from.length);
    if (from instanceof Date) return new Date(from.getTime());
    if (from instanceof RegExp) return new RegExp(from.source, from.flags);
    if (from instanceof Map) return new Map();
    if (from instanceof Set) return new Set();
    if (from instanceof ArrayBuffer) return from.slice(0);
    if (ArrayBuffer.isView(from)) return cloneView(from);
    if (from instanceof Error) return new (errors[from.name] ?? Error)(from.message);
    if (from instanceof WeakMap || from instanceof WeakSet || from instanceof Promise)
      return uncloneable('this');
    return {};
  };
  const fill = (from: object, to: object): void => {
    if (from instanceof Map && to instanceof Map) {
      for (const [key, item] of from) to.set(copy(key), copy(item));
    } else if (from instanceof Set && to instanceof Set) {
      for (const item of from) to.add(copy(item));
    } else if (Array.isArray(from) || !(isExotic(from) || from instanceof Error)) {
      for (const key of Object.keys(from)) {
        Object.defineProperty(to, key, {
          value: copy(Reflect.get(from, key)),
          writable: true,
          enumerable: true,
          configurable: true,
        });
      }
    }
  };
  return copy(value);
};

const isExotic = (value: object): boolean =>
  value instanceof Date ||
  value instanceof RegExp ||
  value instanceof ArrayBuffer ||
  ArrayBuffer.isView(value);
