import { streamKey } from '../domain/event.ts';
import { withDeclared } from '../domain/interface/decider.ts';
import type { InterfaceEvent, InterfaceState } from '../domain/interface/interface.ts';
import type { InterfaceDocument } from './documents.ts';
import type { Projection } from './projection.ts';

/** The newest interface of each major version, one document per service name. */
export const interfaces: Projection<InterfaceDocument, InterfaceEvent> = {
  name: 'interfaces',
  version: 1,
  category: 'interface',
  keepsHistory: false,
  keys: (event) => [streamKey(event.stream)],
  on: {
    InterfaceDeclared: (document, { data, metadata, revision, position }, name) => ({
      name,
      majors: withDeclared(document?.majors ?? [], {
        ...data,
        declaredBy: metadata.actor,
        declaredAt: metadata.recordedAt,
        position,
      }),
      revision,
      position,
    }),
    InterfaceRetired: (document, { data, revision, position }, name) => ({
      name,
      majors: (document?.majors ?? []).filter(({ major }) => major !== data.major),
      revision,
      position,
    }),
  },
};

/** The decider's state as of `document.revision`, so that a command need not fold the stream. */
export const restoreInterface = ({ majors }: InterfaceDocument): InterfaceState => ({
  majors: majors.map(({ major, version, methods }) => ({ major, version, methods })),
});
