import { asPosition, type Position } from '../../domain/event.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { state } from '../../projections/state.ts';
import { type Problem, problem } from '../errors.ts';
import type { Past, ReadStore } from '../projection/read-store.ts';

/** What the read models still know of a key's past. */
export type PastState =
  | { readonly type: 'found'; readonly document: StateDocument }
  /** There was none. */
  | { readonly type: 'none' }
  /** It was removed from the history, whose oldest version is `oldest`. */
  | { readonly type: 'gone'; readonly oldest: StateDocument };

const none: PastState = { type: 'none' };

/** Versions count from 1, so a history that begins later has lost what was before. */
const lostBefore = (store: ReadStore, key: string): StateDocument | undefined => {
  const oldest = store.oldest<StateDocument>(state.name, key)?.document;
  return oldest === undefined || oldest.version === 1 ? undefined : oldest;
};

/** The version of the oldest entry of the key's history; undefined for a key that never was. */
export const oldestVersionOf = (store: ReadStore, key: string): number | undefined =>
  store.oldest<StateDocument>(state.name, key)?.document.version;

/** A key as it was at `position`, inclusive; a deleted one is found too. */
export const stateAtPosition = (store: ReadStore, key: string, position: Position): PastState => {
  const past = store.at<StateDocument>(state.name, key, position);
  if (past !== undefined) return { type: 'found', document: past.document };
  const oldest = lostBefore(store, key);
  return oldest === undefined ? none : { type: 'gone', oldest };
};

/**
 * One version of a key, found by bisecting the positions between which it must stand: a long history costs no more than a
 * short one (64 or 128 steps at most, the width of a position in bits).
 */
export const stateOfVersion = (store: ReadStore, key: string, version: number): PastState => {
  const current = store.read<StateDocument>(state.name, key);
  if (current === undefined || version > current.version || version < 1) return none;
  if (current.version === version) return { type: 'found', document: current };
  const oldest = lostBefore(store, key);
  if (oldest !== undefined && version < oldest.version) return { type: 'gone', oldest };
  const width = current.position.length;
  let low = 0n;
  let high = BigInt(`0x${current.position}`) - 1n;
  while (low <= high) {
    const middle = (low + high) / 2n;
    const position = asPosition(middle.toString(16).padStart(width, '0'));
    const past: Past<StateDocument> | undefined = store.at(state.name, key, position);
    if (past?.document.version === version) return { type: 'found', document: past.document };
    if (past === undefined || past.document.version < version) low = middle + 1n;
    else high = BigInt(`0x${past.position}`) - 1n;
  }
  return none;
};

/** @param oldest the oldest version of `key` that is kept. */
export const goneProblem = (key: string, oldest: StateDocument): Problem =>
  problem(
    'gap',
    `the key ${key} is kept from its version ${oldest.version} on; what was before was removed`,
    {
      key,
      oldestVersion: oldest.version,
      oldestPosition: oldest.position,
    },
  );
