import { jsonPointer } from '../../../domain/json-pointer.ts';
import { fault, ok, problem, type Result } from '../../errors.ts';
import { isMediaType } from '../../media-type.ts';
import { isTimestamp } from './timestamp.ts';
import { isUri, isUriReference } from './uri.ts';

/** The types that a value has in the JSON format; the others of the specification are texts there. */
export type AttributeValue = string | number | boolean;
/** The context attributes of a CloudEvent by their names, the required ones among them. */
export type Attributes = Readonly<Record<string, AttributeValue>>;

export const required = ['specversion', 'id', 'source', 'type'] as const;
const optional = ['datacontenttype', 'dataschema', 'subject', 'time'] as const;
const core: ReadonlySet<string> = new Set([...required, ...optional]);

/** What a message's headers hold of an event: each value is one of them. */
export const maxValueLength = 4_096;
export const maxNameLength = 60;
export const maxExtensions = 64;
/** The length of a message's key, which a partition key becomes. */
const maxPartitionKeyLength = 256;
const maxFaults = 20;

const nameForm = /^[a-z0-9]{1,60}$/;
/** `data` is reserved by the specification; the others no JSON that comes in may have as keys. */
const reservedNames: ReadonlySet<string> = new Set(['data', 'constructor', 'prototype']);

export const isAttributeName = (name: string): boolean => nameForm.test(name) && !reservedNames.has(name);
export const isExtensionName = (name: string): boolean => isAttributeName(name) && !core.has(name);

/** The specification's String: no control characters, no noncharacters of Unicode, surrogates in pairs only. */
export const isAttributeText = (text: string): boolean => {
  if (text.length > maxValueLength) return false;
  for (let index = 0; index < text.length; index++) {
    const point = text.codePointAt(index) ?? 0;
    if (point < 0x20 || (point >= 0x7f && point <= 0x9f)) return false;
    if (point >= 0xd800 && point <= 0xdfff) return false;
    if ((point >= 0xfdd0 && point <= 0xfdef) || (point & 0xfffe) === 0xfffe) return false;
    if (point > 0xffff) index++;
  }
  return true;
};

const textRule = `must be a text of at most ${maxValueLength} characters without control characters`;
const typeRule = 'must be a text, a boolean or a whole number of 32 bits';

const isInteger = (value: number): boolean =>
  Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31;

const isValue = (value: unknown): value is AttributeValue =>
  typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && isInteger(value));

/** What is wrong with the value of an attribute whose name is sound; undefined when nothing is. */
const valueFault = (name: string, value: AttributeValue): string | undefined => {
  if (typeof value !== 'string') {
    return core.has(name) || name === 'partitionkey' ? 'must be a text' : undefined;
  }
  return isAttributeText(value) ? formFault(name, value) : textRule;
};

const formFault = (name: string, value: string): string | undefined => {
  switch (name) {
    case 'specversion':
      return value === '1.0' ? undefined : 'must be 1.0';
    case 'id':
    case 'type':
    case 'subject':
      return value === '' ? 'must not be empty' : undefined;
    case 'source':
      return value !== '' && isUriReference(value) ? undefined : 'must be a URI reference (RFC 3986)';
    case 'dataschema':
      return isUri(value) ? undefined : 'must be a URI (RFC 3986)';
    case 'time':
      return isTimestamp(value) ? undefined : 'must be a time of RFC 3339';
    case 'datacontenttype':
      return isMediaType(value) ? undefined : 'must be a media type (RFC 2046)';
    case 'partitionkey':
      return value !== '' && value.length <= maxPartitionKeyLength
        ? undefined
        : `must be 1 to ${maxPartitionKeyLength} characters`;
    default:
      return undefined;
  }
};

type Fault = { readonly pointer: string; readonly detail: string };

/**
 * The attributes of a CloudEvent, or `invalid` with a pointer per fault (20 at most).
 *
 * @param entries Names and values as they came; a value that is null counts as absent.
 * @param prefix Of a name in a pointer: empty for a JSON member, `ce-` for a header field.
 */
export const checkAttributes = (
  entries: Iterable<readonly [name: string, value: unknown]>,
  prefix = '',
): Result<Attributes> => {
  const faults: Fault[] = [];
  const found: [string, AttributeValue][] = [];
  const add = (name: string, detail: string): void => {
    if (faults.length < maxFaults) faults.push({ pointer: jsonPointer([prefix + name]), detail });
  };
  let extensions = 0;
  for (const [name, value] of entries) {
    if (value === null) continue;
    if (!isAttributeName(name)) {
      add(name.slice(0, maxNameLength), `must be named by 1 to ${maxNameLength} of a-z and 0-9`);
      continue;
    }
    const detail = isValue(value) ? valueFault(name, value) : typeRule;
    if (detail !== undefined) add(name, detail);
    else if (isValue(value)) found.push([name, value]);
    if (!core.has(name) && ++extensions === maxExtensions + 1)
      add(name, `is one too many: ${maxExtensions} extension attributes are taken`);
  }
  const names = new Set(found.map(([name]) => name));
  for (const name of required) {
    const pointer = jsonPointer([prefix + name]);
    if (!names.has(name) && !faults.some((other) => other.pointer === pointer)) add(name, 'is required');
  }
  return faults.length === 0 ? ok(Object.fromEntries(found)) : fault(notAnEvent(faults));
};

/** The fault of an input that is no CloudEvent. */
export const notAnEvent = (errors: readonly Fault[]) => {
  const [first] = errors;
  const where = first === undefined ? '' : `: ${first.pointer.slice(1) || 'the body'} ${first.detail}`;
  return problem('invalid', `This is no CloudEvent${where}`, { errors });
};
