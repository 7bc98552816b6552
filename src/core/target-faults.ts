import type { Command } from '../command/catalog.ts';
import { invalidAt, type Problem } from '../errors.ts';
import { given } from '../given.ts';
import type { Targets } from '../registry/target/targets.ts';

type Place = {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly healthCheckUrl?: string | null | undefined;
};

const defaultPorts: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };
const portOf = ({ port, protocol }: URL): number =>
  port === '' ? (defaultPorts[protocol] ?? 0) : Number(port);

/** What keeps a service from being registered where it says it is, or undefined. */
const targetFault = (targets: Targets, { host, port, healthCheckUrl }: Place): Problem | undefined => {
  const place = host === undefined ? undefined : targets.refusal(host, port ?? 0);
  if (place !== undefined) return invalidAt('/host', `is refused: ${place}`);
  const url = typeof healthCheckUrl === 'string' ? new URL(healthCheckUrl) : undefined;
  const check = url === undefined ? undefined : targets.refusal(url.hostname, portOf(url));
  return check === undefined ? undefined : invalidAt('/healthCheckUrl', `is refused: ${check}`);
};

/** What is wrong with a command on a service whatever the service is, or undefined; of other commands nothing. */
export const serviceFault = (targets: Targets, command: Command): Problem | undefined => {
  if (command.type === 'RegisterService') return targetFault(targets, command.data);
  if (command.type !== 'UpdateService') return undefined;
  const { id: _id, status, reason: _reason, ...fields } = command.data;
  const changes = given(fields);
  const isStatus = status !== undefined;
  return (
    targetFault(targets, changes) ??
    (isStatus === Object.keys(changes).length > 0
      ? invalidAt('', 'must be either a status (with a reason) or changed fields')
      : undefined)
  );
};
