import { statfsSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { LogError } from '../event-log.ts';
import type { Records } from './records.ts';

/** Refuses appends before they are written when disk or map would run full. */
export type Space = {
  /** Counts `bytes` that are about to be accepted; the refusal, or undefined when there is room. */
  refuse(bytes: number, pendingBytes: number): LogError | undefined;
};

export type SpaceOptions = {
  readonly records: Records;
  readonly reserveBytes: number;
};

/** Bytes accepted, and time, between two looks at the disk: others fill it too. */
const checkEveryBytes = 256 * 1_024;
const checkEveryMs = 500;
/** A transaction copies pages before it frees the old ones. */
const growth = 2;

export const createSpace = ({ records, reserveBytes }: SpaceOptions): Space => {
  const { directory } = records.source;
  let sinceCheck = 0;
  let nextCheckMs = Number.NEGATIVE_INFINITY;
  let full = false;

  const look = (bytes: number): LogError | undefined => {
    const disk = statfsSync(directory);
    const freeBytes = disk.bavail * disk.bsize;
    if (freeBytes < reserveBytes + bytes * growth) {
      return new LogError('log_full', `the disk of the event log in ${directory} is full`, {
        directory,
        freeBytes,
        reserveBytes,
      });
    }
    const { usedBytes, mapBytes } = records.usage();
    const marginBytes = Math.min(reserveBytes, mapBytes / 4);
    if (usedBytes + bytes * growth > mapBytes - marginBytes) {
      return new LogError('log_full', `the map of the event log in ${directory} is full`, {
        directory,
        usedBytes,
        mapBytes,
      });
    }
    return undefined;
  };

  return {
    refuse(bytes, pendingBytes) {
      sinceCheck += bytes;
      const nowMs = performance.now();
      if (!full && sinceCheck < checkEveryBytes && nowMs < nextCheckMs) return undefined;
      const refusal = look(pendingBytes + bytes + checkEveryBytes);
      full = refusal !== undefined;
      sinceCheck = 0;
      nextCheckMs = nowMs + checkEveryMs;
      return refusal;
    },
  };
};
