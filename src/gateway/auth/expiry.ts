const dayMs = 86_400_000;

/**
 * Calls `expired` once `expiresAt` (ms since 1970; undefined for never) has come.
 *
 * @returns what stops it.
 */
export const watchExpiry = (expiresAt: number | undefined, expired: () => void): (() => void) => {
  let timer: NodeJS.Timeout | undefined;
  const check = (): void => {
    if (expiresAt === undefined) return;
    const leftMs = expiresAt - Date.now();
    // A timer holds 24 days at most, and the clock may be set meanwhile.
    if (leftMs <= 0) expired();
    else timer = setTimeout(check, Math.min(leftMs, dayMs)).unref();
  };
  check();
  return () => clearTimeout(timer);
};
