import type ivm from 'isolated-vm';
import type { Ask, Entrances, Tell } from '../guest/runtime.ts';
import type { CellFacts } from './cell.ts';

/** The functions of the guest's runtime that the child calls, each in the isolate's own thread. */
export type Doors = {
  readonly call: ivm.Reference<Entrances['call']>;
  readonly done: ivm.Reference<Entrances['done']>;
  readonly timer: ivm.Reference<Entrances['timer']>;
  readonly stop: ivm.Reference<Entrances['stop']>;
  /** Runs the plugin's module and calls its `initialize`, which is waited for by other means. */
  begin(timeoutMs: number): Promise<void>;
};

export type Runtime = {
  readonly ivm: typeof ivm;
  /** Source of guest/runtime.ts. */
  readonly source: string;
  /** Made by the first isolate for all others. */
  cache?: ivm.ExternalCopy<ArrayBuffer>;
};

/** All are called by whoever has broken out, too. `waits`: the isolate stands still until this returns. */
export type Ears = { readonly tell: Tell; readonly ask: Ask; readonly waits: () => void };

export const openIsolate = (
  facts: CellFacts,
  runtime: Runtime,
  ears: Ears,
  lost: (message: string) => void,
): { readonly isolate: ivm.Isolate; readonly opened: Promise<Doors> } => {
  const isolate = new runtime.ivm.Isolate({
    memoryLimit: facts.limits.memoryMb,
    onCatastrophicError: lost,
  });
  return { isolate, opened: open(isolate, facts, runtime, ears) };
};

const compile = async (isolate: ivm.Isolate, runtime: Runtime): Promise<ivm.Script> => {
  const { source, cache } = runtime;
  if (cache !== undefined) {
    return isolate.compileScript(source, { filename: 'nexus:guest', cachedData: cache });
  }
  const script = await isolate.compileScript(source, { filename: 'nexus:guest', produceCachedData: true });
  const made = 'cachedData' in script ? script.cachedData : undefined;
  if (made !== undefined) runtime.cache ??= made as ivm.ExternalCopy<ArrayBuffer>;
  return script;
};

const open = async (isolate: ivm.Isolate, facts: CellFacts, runtime: Runtime, ears: Ears): Promise<Doors> => {
  const { Callback } = runtime.ivm;
  const context = await isolate.createContext();
  const script = await compile(isolate, runtime);
  await script.run(context);
  const boot: ivm.Reference<(...args: unknown[]) => Entrances> = await context.eval(
    '{ const boot = globalThis.bootNexusGuest; delete globalThis.bootNexusGuest; boot }',
    { reference: true },
  );
  const tell: Tell = (kind, id, head, text) => ears.tell(kind, id, head, text);
  const tellWaiting: Tell = (kind, id, head, text) => {
    ears.waits();
    ears.tell(kind, id, head, text);
  };
  const ask: Ask = (what, text) => {
    ears.waits();
    return ears.ask(what, text);
  };
  const entrances: ivm.Reference<Entrances> = await boot.apply(
    undefined,
    [
      new Callback(tell, { ignored: true }),
      new Callback(tellWaiting, { sync: true }),
      new Callback(ask, { sync: true }),
      JSON.stringify({
        name: facts.name,
        version: facts.version,
        config: facts.config,
        messageBytes: facts.limits.messageBytes,
      }),
    ],
    { result: { reference: true } },
  );
  const door = <Name extends keyof Entrances>(name: Name) => entrances.get(name, { reference: true });
  const [begin, call, done, timer, stop] = await Promise.all([
    door('begin'),
    door('call'),
    door('done'),
    door('timer'),
    door('stop'),
  ]);
  return {
    call,
    done,
    timer,
    stop,
    async begin(timeout) {
      const module = await isolate.compileModule(facts.code, { filename: `plugin:${facts.name}` });
      await module.instantiate(context, (specifier) => {
        throw new Error(`a plugin imports nothing: ${specifier}`);
      });
      await module.evaluate({ timeout });
      await begin.apply(undefined, [module.namespace.derefInto()], { timeout });
    },
  };
};
