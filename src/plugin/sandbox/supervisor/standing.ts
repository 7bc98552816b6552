/** Strikes and suspicions are forgotten after this time, in ms. */
export const memoryMs = 600_000;

/** What those who are suspected of one death share. Once one of them is proven to do such things the others are cleared. */
export type Suspicion = { readonly untilMs: number; proven: Standing | undefined };

/** What one guest is held for. Times are the clock's. */
export type Standing = {
  /** Counts a death that the guest is the cause of. @returns strikes that count now, this one among them. */
  strike(): number;
  /** Of the last ten minutes. */
  strikes(): number;
  suspect(suspicion: Suspicion): void;
  /** It has killed its child by itself: the others who were suspected with it are cleared. */
  proven(): void;
  /** It was near a death that nobody is blamed for. */
  mark(): void;
  /** Suspected, or near an unexplained death, within ten minutes. */
  marked(): boolean;
  /** Kept in a child of its own. */
  apart(): boolean;
};

/** @param apartFromStart its name has strikes from before it was started anew. */
export const createStanding = (now: () => number, apartFromStart: boolean): Standing => {
  let strikesAtMs: readonly number[] = [];
  let suspicion: Suspicion | undefined;
  let markedUntilMs = 0;
  const apartUntilMs = apartFromStart ? now() + memoryMs : 0;

  const strikes = (): number => {
    strikesAtMs = strikesAtMs.filter((atMs) => now() - atMs < memoryMs);
    return strikesAtMs.length;
  };
  const suspected = (): boolean =>
    suspicion !== undefined &&
    now() < suspicion.untilMs &&
    (suspicion.proven === undefined || suspicion.proven === standing);

  const standing: Standing = {
    strike() {
      strikesAtMs = [...strikesAtMs, now()];
      return strikes();
    },
    strikes,
    suspect(of) {
      suspicion = of;
    },
    proven() {
      if (suspicion !== undefined) suspicion.proven = standing;
    },
    mark() {
      markedUntilMs = now() + memoryMs;
    },
    marked: () => now() < markedUntilMs || suspected(),
    apart: () => strikes() >= 2 || suspected() || now() < apartUntilMs,
  };
  return standing;
};
