import { asPosition, type Position, parsePosition } from '../../../domain/event.ts';
import { LogError } from '../event-log.ts';

/**
 * Where an event stands: its sequence (from 1, one per event of the log) and how far it lies behind the first
 * sequence of its record, in one number, so that an index of places is an array of doubles.
 */
export type Place = number;

/** A record spans fewer sequences than this. */
export const maxRecordSpan = 4_096;

export const placeOf = (sequence: number, offset: number): Place => sequence * maxRecordSpan + offset;
export const sequenceOf = (place: Place): number => Math.floor(place / maxRecordSpan);
export const offsetOf = (place: Place): number => place % maxRecordSpan;
/** Key of the record that holds the event. */
export const recordKeyOf = (place: Place): number => sequenceOf(place) - offsetOf(place);

const digits = 16;
const lowDigits = 3;
const lowHex = Array.from({ length: 16 ** lowDigits }, (_, low) => low.toString(16).padStart(lowDigits, '0'));
let highValue = 0;
let highHex = '0'.repeat(digits - lowDigits);

/** The position of a sequence: 16 hex digits. */
export const positionOf = (sequence: number): Position => {
  const low = sequence % lowHex.length;
  const high = (sequence - low) / lowHex.length;
  if (high !== highValue) {
    highValue = high;
    highHex = high.toString(16).padStart(digits - lowDigits, '0');
  }
  return asPosition(`${highHex}${lowHex[low]}`);
};

/** @throws {LogError} `invalid` for a position that is not one of this log. */
export const sequenceAt = (position: Position): number => {
  if (position.length !== digits || parsePosition(position) === undefined) {
    throw new LogError('invalid', 'a position of the embedded log is 16 lower-case hex digits', { position });
  }
  return Number.parseInt(position, 16);
};

/** Index of the first place whose sequence is at least `sequence`; `places` ascend. */
export const firstAtLeast = (places: readonly Place[], sequence: number): number => {
  const least = placeOf(sequence, 0);
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((places[middle] ?? 0) < least) low = middle + 1;
    else high = middle;
  }
  return low;
};
