import { crc32 } from 'node:zlib';
import type { EventMetadata, LogEvent, Revision, StreamId } from '../../../domain/event.ts';
import { LogError } from '../event-log.ts';
import { maxRecordSpan, positionOf } from './place.ts';

/*
 * A record holds the events of a part of a group commit. Its key is the sequence of its first event.
 *
 *   0  u32  CRC-32 of everything behind it
 *   4  u8   version of this format
 *   5  u8   1 when sequences are missing (scavenged), else 0
 *   6  u16  count of events
 *   8  f64  recordedAt, ms since 1970
 *  16  u32  × count: where the text of each event begins, from the text's start
 *      u16  × count, only when sequences are missing: sequence of each event less the key
 *      UTF-8 JSON: [[id, type, stream, revision, data, metadata], …]
 */
const formatVersion = 1;
const headerBytes = 16;
const idStart = 2;
const idLength = 36;

/** Text of a record from here on goes into another one, so that reading one event does not check a megabyte. */
export const recordBytes = 32_752;

/** Where the records stand, for messages. */
export type Source = { readonly directory: string };

/** Events on their way into a record; `text` lacks the closing bracket. */
export type Draft = {
  readonly key: number;
  readonly recordedAtMs: number;
  text: string;
  /** UTF-16 index in `text` of each event. */
  readonly starts: number[];
};

/** A record whose checksum was verified. The buffer is never written to. */
export type Record = {
  readonly key: number;
  readonly count: number;
  readonly buffer: Buffer;
  readonly sparse: boolean;
  readonly textStart: number;
};

type StoredEvent = [string, string, StreamId, Revision, unknown, { recordedAt: string } & EventMetadata];

export const openDraft = (key: number, recordedAtMs: number): Draft => ({
  key,
  recordedAtMs,
  text: '',
  starts: [],
});

export const isFull = (draft: Draft, textLength: number): boolean =>
  draft.starts.length > 0 &&
  (headerBytes + (draft.starts.length + 1) * 4 + draft.text.length + textLength + 2 > recordBytes ||
    draft.starts.length + 1 >= maxRecordSpan);

export const addToDraft = (draft: Draft, eventText: string): void => {
  draft.starts.push(draft.text.length + 1);
  draft.text += draft.starts.length === 1 ? `[${eventText}` : `,${eventText}`;
};

const writeHeader = (buffer: Buffer, count: number, sparse: boolean, recordedAtMs: number): void => {
  buffer.writeUInt8(formatVersion, 4);
  buffer.writeUInt8(sparse ? 1 : 0, 5);
  buffer.writeUInt16LE(count, 6);
  buffer.writeDoubleLE(recordedAtMs, 8);
};

const seal = (buffer: Buffer): void => {
  buffer.writeUInt32LE(crc32(buffer.subarray(4)), 0);
};

/** Encodes a draft into memory of its own from `allocate`. */
export const encodeDraft = (draft: Draft, allocate: (bytes: number) => Buffer): Buffer => {
  const text = `${draft.text}]`;
  const count = draft.starts.length;
  const textBytes = Buffer.byteLength(text);
  const textStart = headerBytes + count * 4;
  const buffer = allocate(textStart + textBytes);
  writeHeader(buffer, count, false, draft.recordedAtMs);
  if (textBytes === text.length) {
    buffer.write(text, textStart, 'latin1');
    for (let index = 0; index < count; index++) {
      buffer.writeUInt32LE(draft.starts[index] ?? 0, headerBytes + index * 4);
    }
  } else {
    buffer.write(text, textStart, 'utf8');
    let start = 1;
    for (let index = 0; index < count; index++) {
      buffer.writeUInt32LE(start, headerBytes + index * 4);
      const from = draft.starts[index] ?? 0;
      start += Buffer.byteLength(text.slice(from, draft.starts[index + 1] ?? from));
    }
  }
  seal(buffer);
  return buffer;
};

export const corrupt = (source: Source, sequence: number, what: string): LogError =>
  new LogError('log_corrupt', `${what} at position ${positionOf(sequence)} in ${source.directory}`, {
    directory: source.directory,
    position: positionOf(sequence),
  });

/** @throws {LogError} `log_corrupt` when the record is not what was written. */
export const openRecord = (buffer: Buffer, key: number, source: Source): Record => {
  if (buffer.length <= headerBytes || crc32(buffer.subarray(4)) !== buffer.readUInt32LE(0)) {
    throw corrupt(source, key, 'a record fails its checksum');
  }
  return trustRecord(buffer, key, source);
};

/** A record that this process has just encoded: its checksum need not be verified. */
export const trustRecord = (buffer: Buffer, key: number, source: Source): Record => {
  const version = buffer.readUInt8(4);
  if (version !== formatVersion) throw corrupt(source, key, `a record has the unknown format ${version}`);
  const sparse = buffer.readUInt8(5) === 1;
  const count = buffer.readUInt16LE(6);
  return { key, count, buffer, sparse, textStart: headerBytes + count * (sparse ? 6 : 4) };
};

export const recordedAtMsOf = (record: Record): number => record.buffer.readDoubleLE(8);

/** Sequence of the event at `slot`, 0 … count - 1. */
export const sequenceIn = (record: Record, slot: number): number =>
  record.key + (record.sparse ? record.buffer.readUInt16LE(headerBytes + record.count * 4 + slot * 2) : slot);

export const lastSequenceOf = (record: Record): number => sequenceIn(record, record.count - 1);

/** Slot of the event `offset` sequences behind the key, or -1 when it was scavenged. */
export const slotOf = (record: Record, offset: number): number => {
  if (!record.sparse) return offset < record.count ? offset : -1;
  let low = 0;
  let high = record.count - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = sequenceIn(record, middle) - record.key;
    if (found === offset) return middle;
    if (found < offset) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
};

const startOf = (record: Record, slot: number): number =>
  record.textStart + record.buffer.readUInt32LE(headerBytes + slot * 4);

const endOf = (record: Record, slot: number): number =>
  slot + 1 < record.count ? startOf(record, slot + 1) - 1 : record.buffer.length - 1;

/** Bytes that the event at `slot` takes. */
export const bytesIn = (record: Record, slot: number): number => endOf(record, slot) - startOf(record, slot);

/** Id of the event at `slot`, without decoding the rest of it. */
export const idIn = (record: Record, slot: number): string => {
  const start = startOf(record, slot) + idStart;
  return record.buffer.toString('latin1', start, start + idLength);
};

const assemble = (stored: StoredEvent, sequence: number, recordedAt: string): LogEvent => {
  const [id, type, stream, revision, data, metadata] = stored;
  const mutable: { recordedAt: string } = metadata;
  mutable.recordedAt = recordedAt;
  return { id, stream, revision, position: positionOf(sequence), type, data, metadata };
};

const isoOf = (record: Record): string => new Date(recordedAtMsOf(record)).toISOString();

/** The event at `slot`, made anew: the caller owns it. */
export const eventIn = (record: Record, slot: number): LogEvent => {
  const stored: StoredEvent = JSON.parse(
    record.buffer.toString('utf8', startOf(record, slot), endOf(record, slot)),
  );
  return assemble(stored, sequenceIn(record, slot), isoOf(record));
};

/** All events of the record in order, made anew: the caller owns them. */
export const eventsIn = (record: Record): LogEvent[] => {
  const stored: StoredEvent[] = JSON.parse(record.buffer.toString('utf8', record.textStart));
  const recordedAt = isoOf(record);
  return stored.map((one, slot) => assemble(one, sequenceIn(record, slot), recordedAt));
};

/** A copy of the record with only the events at `slots` (ascending, at least one). */
export const withOnly = (record: Record, slots: readonly number[]): Buffer => {
  const texts = slots.map((slot) => record.buffer.subarray(startOf(record, slot), endOf(record, slot)));
  const textStart = headerBytes + slots.length * 6;
  const buffer = Buffer.allocUnsafeSlow(textStart + texts.reduce((sum, text) => sum + text.length + 1, 1));
  writeHeader(buffer, slots.length, true, recordedAtMsOf(record));
  let at = textStart;
  for (const [index, text] of texts.entries()) {
    buffer.writeUInt8(index === 0 ? 0x5b : 0x2c, at++);
    buffer.writeUInt32LE(at - textStart, headerBytes + index * 4);
    buffer.writeUInt16LE(
      sequenceIn(record, slots[index] ?? 0) - record.key,
      headerBytes + slots.length * 4 + index * 2,
    );
    at += text.copy(buffer, at);
  }
  buffer.writeUInt8(0x5d, at);
  seal(buffer);
  return buffer;
};
