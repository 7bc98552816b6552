import { accept, type Decider, type Decision, reject, unreachable } from '../decider.ts';
import type { Methods } from '../service/policy.ts';
import { differencesBetween, sameSignatures, signaturesOf } from './compatibility.ts';
import type {
  DeclaredInterface,
  InterfaceCommand,
  InterfaceEvent,
  InterfaceRejection,
  InterfaceState,
} from './interface.ts';
import { compareVersions, majorOf, parseVersion } from './version.ts';

/** All interfaces of a name stand in one document. */
export const maxMajors = 32;

/** The interfaces with that of `declared.major` replaced in its place, or added at the end. */
export const withDeclared = <Declared extends { readonly major: string }>(
  majors: readonly Declared[],
  declared: Declared,
): readonly Declared[] =>
  majors.some(({ major }) => major === declared.major)
    ? majors.map((other) => (other.major === declared.major ? declared : other))
    : [...majors, declared];

const declare = (
  version: string,
  methods: Methods,
  majors: readonly DeclaredInterface[],
): Decision<InterfaceEvent, InterfaceRejection> => {
  const own = parseVersion(version);
  if (own === undefined) return reject({ code: 'bad_version' });
  // A registration that says nothing of its methods takes nothing back.
  if (Object.keys(methods).length === 0) return accept();
  const major = majorOf(own);
  const signatures = signaturesOf(methods);
  const declaration: InterfaceEvent = {
    type: 'InterfaceDeclared',
    data: { major, version, methods: signatures },
  };
  const newest = majors.find((known) => known.major === major);
  if (newest === undefined) {
    return majors.length >= maxMajors ? reject({ code: 'too_many', max: maxMajors }) : accept(declaration);
  }
  const declared = parseVersion(newest.version);
  const order = declared === undefined ? 1 : compareVersions(own, declared);
  const isOlder = order < 0;
  // An older one beside the newest (a rollback, the rest of a rolling update) has to be what the newest goes on from.
  const differences = isOlder
    ? differencesBetween(signatures, newest.methods)
    : differencesBetween(newest.methods, signatures);
  if (differences.length > 0)
    return reject({ code: 'breaking_change', major, declared: newest.version, differences });
  const isNews = order > 0 || !sameSignatures(newest.methods, signatures);
  return isOlder || !isNews ? accept() : accept(declaration);
};

/**
 * The interfaces of one service name, of each major version the newest: the stream `interface-{name}`.
 *
 * Whoever registers an instance declares its methods with it; what breaks those who rely on the newest interface of the
 * same major version is refused with the differences.
 */
export const interfaceDecider: Decider<InterfaceState, InterfaceCommand, InterfaceEvent, InterfaceRejection> =
  {
    initial: { majors: [] },

    decide(command, { majors }) {
      switch (command.type) {
        case 'DeclareInterface':
          return declare(command.version, command.methods, majors);
        case 'RetireInterface': {
          const { major, reason } = command;
          return majors.some((known) => known.major === major)
            ? accept({ type: 'InterfaceRetired', data: { major, reason } })
            : reject({ code: 'not_found' });
        }
        default:
          return unreachable(command);
      }
    },

    evolve({ majors }, event) {
      switch (event.type) {
        case 'InterfaceDeclared':
          return { majors: withDeclared(majors, event.data) };
        case 'InterfaceRetired':
          return { majors: majors.filter(({ major }) => major !== event.data.major) };
        default:
          return unreachable(event);
      }
    },
  };
