import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import { parseJson } from '../json.ts';
import { type KeyAlgorithm, keyAlgorithms, kidForm } from './keys.ts';

/** What the header of a token says, and all that is believed of it: how it is signed, and the name of the key. */
export type TokenHeader = {
  readonly algorithm: 'HS256' | KeyAlgorithm;
  readonly kid: string | undefined;
};

export const maxTokenLength = 8_192;

/** RFC 7519, section 5.1, and RFC 9068, section 2.1; compared in lower case. */
const types: ReadonlySet<unknown> = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']);
/** Each says that the parts are something else than claims and their signature. */
const strangeMembers = ['crit', 'cty', 'enc', 'zip', 'b64'] as const;

export const unauthorized = (detail: string): Problem => problem('unauthorized', detail);
export const refuse = (detail: string): Result<never> => fault(unauthorized(detail));

const malformed = refuse('The token is not a JSON Web Token');

/**
 * The header of a token whose form is sound: three parts of base64url in its one spelling (RFC 7515, section 3.1). Says
 * nothing of the signature. `jku`, `x5u`, `jwk` and `x5c` are passed over: a key comes from the hub's own sets or not at all.
 */
export const readHeader = (token: string): Result<TokenHeader> => {
  if (token.length > maxTokenLength) {
    return refuse(`The token has more than ${maxTokenLength} characters`);
  }
  const [head = '', body = '', signature = '', ...more] = token.split('.');
  if (more.length > 0 || body === '' || signature === '') return malformed;
  if (bytesOf(body) === undefined || bytesOf(signature) === undefined) return malformed;
  const header = objectOf(head);
  if (header === undefined) return refuse('The header of the token is not a JSON object');
  return headerOf(header);
};

const headerOf = (header: JsonObject): Result<TokenHeader> => {
  const { alg, typ, kid } = header;
  const strange = strangeMembers.find((name) => Object.hasOwn(header, name));
  if (strange !== undefined) return refuse(`The header of the token has ${strange}, which is not supported`);
  if (typ !== undefined && !(typeof typ === 'string' && types.has(typ.toLowerCase()))) {
    return refuse('The typ of the token is neither JWT nor at+jwt');
  }
  if (kid !== undefined && !(typeof kid === 'string' && kidForm.test(kid))) {
    return refuse('The kid of the token is not of 1 to 64 characters of [A-Za-z0-9._-]');
  }
  const algorithm = alg === 'HS256' ? alg : keyAlgorithms.find((name) => name === alg);
  if (algorithm === undefined) return refuse('The token is not signed with HS256, RS256, ES256 or EdDSA');
  return ok({ algorithm, kid });
};

/** The claims of a token whose signature holds. */
export const readClaims = (token: string): Result<JsonObject> => {
  const claims = objectOf(token.split('.', 2)[1] ?? '');
  return claims === undefined ? refuse('The token carries no JSON object of claims') : ok(claims);
};

/** Undefined for what is not base64url as an encoder writes it: padding, another alphabet, bits that nothing reads. */
const bytesOf = (part: string): Buffer | undefined => {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : undefined;
};

/** Undefined for what two parsers may read in two ways (RFC 8725, section 2.4 and RFC 8259, section 4), too. */
const objectOf = (part: string): JsonObject | undefined => {
  const bytes = bytesOf(part);
  const json = bytes === undefined ? undefined : parseJson(bytes);
  if (bytes === undefined || json?.ok !== true || !isJsonObject(json.value)) return undefined;
  return hasRepeatedName(bytes.toString('utf8')) ? undefined : json.value;
};

const spaceThenColon = /[ \t\n\r]*:/y;

/** True when the outermost object of `text`, which is sound JSON, has a name twice. */
const hasRepeatedName = (text: string): boolean => {
  const names = new Set<string>();
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    else if (char === '"') {
      const begin = at++;
      while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
      spaceThenColon.lastIndex = at + 1;
      if (depth !== 1 || !spaceThenColon.test(text)) continue;
      const name: unknown = JSON.parse(text.slice(begin, at + 1));
      if (names.has(String(name))) return true;
      names.add(String(name));
    }
  }
  return false;
};
