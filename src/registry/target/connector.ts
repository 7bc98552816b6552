import type { Targets } from './targets.ts';

/** The connection was not made, so nothing of the request was sent: another instance may be tried. */
export class ConnectFailed extends Error {
  override readonly name = 'ConnectFailed';
  /** True when the address is not allowed, false when it could not be reached. */
  readonly refused: boolean;

  constructor(message: string, refused: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.refused = refused;
  }
}

/**
 * Connects to addresses that `targets` has just checked, one after the other, never to a name: a name that resolves
 * differently a moment later leads nowhere. Every connection that the hub makes for its users comes from here.
 *
 * @param connectTo makes a connection to an address.
 * @throws {ConnectFailed} when the host is refused or has no address, or none of its addresses could be reached.
 */
export const connectChecked = async <Connection>(
  targets: Pick<Targets, 'check'>,
  host: string,
  port: number,
  connectTo: (address: string) => Promise<Connection>,
): Promise<Connection> => {
  const checked = await targets.check(host, port);
  if (!checked.ok) throw new ConnectFailed(checked.detail, checked.reason === 'refused');
  let last: unknown;
  for (const address of checked.addresses) {
    try {
      return await connectTo(address);
    } catch (error) {
      last = error;
    }
  }
  const why = last instanceof Error ? last.message : 'unknown';
  throw new ConnectFailed(`cannot connect to ${host}:${port}: ${why}`, false, last);
};
