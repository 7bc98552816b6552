import type { Config } from '../config.ts';
import { isAuthenticated } from './authenticated.ts';
import { parseEndpoint, parsePeer } from './endpoint.ts';

/** What is allowed by itself and not beside the other options: one line each. */
export const togetherFaults = (config: Config): readonly string[] => [
  ...tlsFaults(config),
  ...documentFaults(config),
  ...pluginFaults(config),
  ...(config.zmqCurveSecretKey === null ? keylessFaults(config) : []),
];

const tlsFaults = ({ tlsCert, tlsKey }: Config): readonly string[] => {
  if ((tlsCert === null) === (tlsKey === null)) return [];
  const [have, miss] = tlsCert === null ? ['tlsKey', 'tlsCert'] : ['tlsCert', 'tlsKey'];
  return [`${have} is set and ${miss} is not; allowed: both, or none of them`];
};

const documentFaults = ({ graphqlDocuments, graphqlDocumentsOnly }: Config): readonly string[] =>
  graphqlDocumentsOnly && graphqlDocuments === null
    ? ['graphqlDocumentsOnly is set and graphqlDocuments is not; allowed: both, or graphqlDocuments alone']
    : [];

const pluginFaults = ({ pluginIntegrity, pluginKeys }: Config): readonly string[] =>
  pluginIntegrity === 'signature' && pluginKeys === null
    ? ['pluginIntegrity is signature and pluginKeys is not set; allowed: both, or another pluginIntegrity']
    : [];

/** Without a CURVE key nothing tells who is at the other end of a ZeroMQ socket. */
const keylessFaults = (config: Config): readonly string[] => {
  const faults: string[] = [];
  for (const name of ['zmqPublish', 'zmqCommand'] as const) {
    const endpoint = parseEndpoint(config[name]);
    if (endpoint !== undefined && !endpoint.loopback) {
      faults.push(
        `${name}: ${config[name]} is no loopback address; allowed without zmqCurveSecretKey: tcp://127.0.0.1:PORT, or none`,
      );
    }
  }
  if (config.zmqCurveClients !== null) {
    faults.push('zmqCurveClients is set and zmqCurveSecretKey is not; allowed: both, or the key alone');
  }
  for (const text of config.peers) {
    const peer = parsePeer(text);
    if (isAuthenticated(config) || peer?.loopback !== true || peer.serverKey !== undefined) {
      faults.push(
        `peers: ${text} needs zmqCurveSecretKey; allowed without it: tcp://127.0.0.1:PORT, with authentication off`,
      );
    }
  }
  return faults;
};
