/** What keys take up: those that live, and the UTF-8 bytes of their names and of their values as JSON. */
export type StateSize = { readonly keys: number; readonly bytes: number };

export const nothing: StateSize = { keys: 0, bytes: 0 };

export type QuotaRejection =
  /** `used` and `needed` together are beyond `limit`: of keys, or of bytes. */
  | {
      readonly code: 'quota_exceeded';
      readonly pattern: string;
      readonly of: 'keys' | 'bytes';
      readonly limit: number;
      readonly used: number;
      readonly needed: number;
    }
  /** What is used is still being counted. */
  | { readonly code: 'usage_unknown'; readonly pattern: string }
  /** Too many writes are under way to keep account of one more. */
  | { readonly code: 'quota_busy'; readonly pattern: string };
