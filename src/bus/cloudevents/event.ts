import type { Json } from '../../../domain/event.ts';
import { isJsonType, mediaTypeOf } from '../../media-type.ts';
import type { Attributes } from './attributes.ts';

/**
 * An event as CloudEvents 1.0 has it, in no format yet. Attributes are sound (`checkAttributes`), and the data fits
 * `datacontenttype`: what is not of a JSON type is a text or bytes.
 */
export type CloudEvent = { readonly attributes: Attributes; readonly data: EventData };

export type EventData =
  | { readonly kind: 'none' }
  /** JSON by its value, or the text of another type. */
  | { readonly kind: 'value'; readonly value: Json }
  /** Base64 as RFC 4648 writes it, padded. */
  | { readonly kind: 'bytes'; readonly base64: string };

export const noData: EventData = { kind: 'none' };

/** True when data of this type is JSON; it is where no type is told (JSON format, 3.1). */
export const holdsJson = ({ datacontenttype }: Attributes): boolean =>
  typeof datacontenttype !== 'string' || isJsonType(mediaTypeOf(datacontenttype));

/** True for the one spelling of some bytes. */
export const isBase64 = (text: string): boolean =>
  text.length % 4 === 0 && Buffer.from(text, 'base64').toString('base64') === text;
