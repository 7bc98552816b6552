import type { EventShape } from '../catalog.ts';
import type { InterfaceEvent } from './interface.ts';

type Data = Readonly<Record<string, unknown>>;

const isData = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): boolean => typeof value === 'string';
const isSignature = (value: unknown): boolean =>
  isData(value) && (value.idempotent === undefined || value.idempotent === true);

const declaredFault = (data: Data): string | undefined => {
  if (!isText(data.major)) return 'major';
  if (!isText(data.version)) return 'version';
  return isData(data.methods) && Object.values(data.methods).every(isSignature) ? undefined : 'methods';
};

/** How the events of a service's interfaces are decoded. */
export const interfaceShapes: { readonly [Type in InterfaceEvent['type']]: EventShape } = {
  InterfaceDeclared: { category: 'interface', fault: declaredFault },
  InterfaceRetired: {
    category: 'interface',
    fault: (data) => (!isText(data.major) ? 'major' : isText(data.reason) ? undefined : 'reason'),
  },
};
