import type { IncomingMessage } from 'node:http';
import { type Problem, problem } from '../errors.ts';

// RFC 3986, section 3.2.2 and 3.2.3, without user information, which a Host never has (RFC 9110, section 7.2).
const hostForm = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/;
let lastHost = 'localhost';

const isHost = (host: string): boolean => {
  if (host === lastHost) return true;
  if (host.length > 261 || !hostForm.test(host)) return false;
  lastHost = host;
  return true;
};

/** Times that a field stands in a message: for some, node:http keeps the first and forgets the others. */
const timesIn = ({ rawHeaders }: IncomingMessage, name: string): number => {
  let times = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const field = rawHeaders[at];
    if (field?.length === name.length && field.toLowerCase() === name) times++;
  }
  return times;
};

/**
 * What Node's parser lets through, and another server on the way may read in another way (RFC 9112, sections 2.3, 3.2 and
 * 6.1). The connection cannot be used further: where the next request begins is not sure.
 */
export const framingFault = (request: IncomingMessage): Problem | undefined => {
  const { httpVersion, headers } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    return problem('bad_request', 'The version of HTTP is neither 1.1 nor 1.0');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && (httpVersion === '1.0' || coding.toLowerCase() !== 'chunked'))
    return problem('bad_request', 'A Transfer-Encoding can only be chunked, and of HTTP/1.1');
  if (headers.host === undefined) return undefined;
  if (timesIn(request, 'host') > 1) return problem('bad_request', 'There is more than one Host');
  return isHost(headers.host) ? undefined : problem('bad_request', 'The Host is no name of one');
};
