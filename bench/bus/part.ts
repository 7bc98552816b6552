/** What each part of bench/bus.ts is given. */
export type PartOptions = {
  /** For its files; removed at the end. */
  readonly folder: string;
  readonly rounds: number;
  /** Multiplies what is measured. */
  readonly scale: number;
  /** Names of what is measured of a part; all of it unless given. */
  readonly ways: readonly string[] | undefined;
  /** A folder for CPU profiles of the hub, when they are wanted. */
  readonly profile: string | undefined;
};
