import { allows } from '../../domain/access.ts';
import { type Position, streamId } from '../../domain/event.ts';
import { majorOf, parseVersion } from '../../domain/interface/version.ts';
import { isServiceName } from '../../domain/names.ts';
import type { ServiceFields } from '../../domain/service/service.ts';
import type { InterfaceDocument, ServiceDocument } from '../../projections/documents.ts';
import { interfaces } from '../../projections/interfaces.ts';
import type { CommandData } from '../command/catalog.ts';
import type { Handler } from '../command/handle.ts';
import { fault, invalid, ok, type Problem, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { Context, EventReceipt, InterfaceList, ServiceInterface } from '../nexus-core.ts';
import { type Call, type Done, notShown, optionsOf, ownReadModelsMs } from './command-call.ts';
import type { Deciders } from './deciders.ts';
import { maxPageBytes, weigh } from './pages.ts';
import type { Parts } from './parts.ts';
import { clampLimit, type Reads } from './reads.ts';
import { explainInterface, mismatchOf, refusalOf, writtenBy } from './refusals.ts';

/** What of a registration its interface follows from. */
export type Declaration = Pick<ServiceFields, 'name' | 'version' | 'methods'>;

const maxInstancesShown = 10;
const nameRule = 'must match [a-z0-9][a-z0-9._-]{0,63}';

type Known = Pick<Parts, 'runner' | 'registry'>;

const isAdmin = ({ subject }: Context): boolean => allows(subject, { scope: 'admin' });

/** Why a subject may not retire an interface now, whatever the interface is. */
export const retireFault = (
  { runner, registry }: Known,
  { name, major }: CommandData<'RetireInterface'>,
  context: Context,
): Problem | undefined => {
  const declared = runner.store
    .read<InterfaceDocument>(interfaces.name, name)
    ?.majors.find((known) => known.major === major);
  if (declared === undefined) return explainInterface(name)({ code: 'not_found' });
  const own = context.subject.id;
  let isOwner = declared.declaredBy === own;
  const users: string[] = [];
  for (const { id, owner, version, methods } of registry.named(name)) {
    isOwner ||= owner === own;
    const parsed = parseVersion(version);
    const isUser = parsed !== undefined && majorOf(parsed) === major && Object.keys(methods).length > 0;
    if (isUser && users.length < maxInstancesShown) users.push(id);
  }
  if (!isOwner && !isAdmin(context)) {
    return problem(
      'forbidden',
      'an interface is retired by who declared it, by the owner of an instance of the name, or by an admin',
      { scope: 'admin' },
    );
  }
  return users.length === 0
    ? undefined
    : problem('interface_in_use', `instances of ${name} ${major} have methods`, {
        service: name,
        major,
        instances: users.toSorted(),
      });
};

/** The commands on interfaces, and the part of a registration that declares one. */
export const createInterfaceCommands = (parts: Parts, handler: Handler, deciders: Deciders) => {
  const { log, runner } = parts;

  /** Another subject's instance is not changed, so it declares nothing either: its own decision refuses it. */
  const isOwn = (owner: string | undefined, context: Context): boolean =>
    owner === undefined || owner === context.subject.id || isAdmin(context);

  const append = async (
    { name, version, methods }: Declaration,
    id: string,
    call: Call,
  ): Promise<Result<readonly EventReceipt[]>> => {
    const stream = streamId('interface', name);
    const { expectedRevision: _ofTheService, ...own } = call;
    const options = optionsOf(own, stream, id);
    const outcome = await handler.handle(
      deciders.interfaces,
      stream,
      { type: 'DeclareInterface', version, methods },
      options,
    );
    if (outcome.outcome === 'repeated') {
      const refused = mismatchOf(outcome.recorded[0], call.metadata);
      if (refused !== undefined) return refused;
    } else if (outcome.outcome !== 'done' && outcome.outcome !== 'unchanged') {
      // A command that was done before is answered as then, whatever has been declared since.
      const service = streamId('service', id);
      const done = await handler.recorded(optionsOf(call, service), service);
      return done === undefined ? refusalOf(outcome, stream, explainInterface(name)) : ok([]);
    }
    return ok(writtenBy(stream, outcome).events);
  };

  return {
    /**
     * Declares the interface of a registration, before the registration is written: one without methods declares
     * nothing, and nothing is compared.
     */
    declare: async (
      declaration: Declaration,
      id: string,
      call: Call,
    ): Promise<Result<readonly EventReceipt[]>> => {
      if (Object.keys(declaration.methods).length === 0) return ok([]);
      const owner = runner.store.read<ServiceDocument>('services', id)?.owner;
      return isOwn(owner, call.context) ? append(declaration, id, call) : ok([]);
    },

    /** The same for changes of a registered instance, whose other fields stay as they are. */
    declareChanged: async (
      changes: Partial<ServiceFields>,
      id: string,
      call: Call,
    ): Promise<Result<readonly EventReceipt[]>> => {
      const { name, version, methods } = changes;
      if (name === undefined && version === undefined && methods === undefined) return ok([]);
      const position = await log.position();
      if (!(await runner.reached(position, ownReadModelsMs))) return notShown(position);
      const document = runner.store.read<ServiceDocument>('services', id);
      if (document === undefined || document.deregistered) return ok([]);
      const declaration = { ...document, ...given({ name, version, methods }) };
      const isIdle = Object.keys(declaration.methods).length === 0;
      return isIdle || !isOwn(document.owner, call.context) ? ok([]) : append(declaration, id, call);
    },

    retire: async (data: CommandData<'RetireInterface'>, call: Call): Promise<Result<Done>> => {
      const { name, major, reason = `by ${call.context.subject.id}` } = data;
      const stream = streamId('interface', name);
      const options = optionsOf(call, stream);
      const isDone = (await handler.recorded(options, stream)) !== undefined;
      const refused = isDone ? undefined : retireFault(parts, data, call.context);
      if (refused !== undefined) return fault(refused);
      const command = { type: 'RetireInterface', major, reason } as const;
      const outcome = await handler.handle(deciders.interfaces, stream, command, options);
      if (outcome.outcome === 'repeated') {
        const wrong = mismatchOf(outcome.recorded[0], call.metadata);
        if (wrong !== undefined) return wrong;
      } else if (outcome.outcome !== 'done' && outcome.outcome !== 'unchanged') {
        return refusalOf(outcome, stream, explainInterface(name));
      }
      const { events, duplicate } = writtenBy(stream, outcome);
      const position: Position = events.at(-1)?.position ?? (await log.position());
      if (!(await runner.reached(position, ownReadModelsMs))) return notShown(position);
      return ok({ events, position, result: { name, major, position }, created: false, duplicate });
    },
  };
};

const viewOf = ({ name, majors }: InterfaceDocument): ServiceInterface => ({ name, interfaces: majors });

export const createInterfaceQueries = (reads: Reads) => ({
  serviceInterface: async (name: string, context: Context): Promise<Result<ServiceInterface>> => {
    const at = await reads.begin(context, { scope: 'services:read' });
    if (!at.ok) return at;
    const document = isServiceName(name)
      ? at.value.store.read<InterfaceDocument>(interfaces.name, name)
      : undefined;
    return document === undefined || document.majors.length === 0
      ? fault(problem('not_found', 'no interface is declared under this name', { name: name.slice(0, 64) }))
      : ok(viewOf(document));
  },

  serviceInterfaces: async (
    options: { readonly limit?: number; readonly cursor?: string },
    context: Context,
  ): Promise<Result<InterfaceList>> => {
    const { cursor } = options;
    if (cursor !== undefined && !isServiceName(cursor)) return invalid('/cursor', nameRule);
    const at = await reads.begin(context, { scope: 'services:read' });
    if (!at.ok) return at;
    const { store, position } = at.value;
    const limit = clampLimit(options.limit);
    const found: ServiceInterface[] = [];
    let bytes = 0;
    const range = store.range<InterfaceDocument>(
      interfaces.name,
      cursor === undefined ? {} : { after: cursor },
    );
    for (const [, document] of range) {
      if (document.majors.length === 0) continue;
      if (found.length === limit || bytes >= maxPageBytes)
        return ok({ interfaces: found, position, ...given({ cursor: found.at(-1)?.name }) });
      found.push(viewOf(document));
      bytes += weigh(document);
    }
    return ok({ interfaces: found, position });
  },
});
