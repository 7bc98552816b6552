import * as z from 'zod';
import type { Json } from '../../domain/event.ts';
import type { HubClient } from '../hub-client.ts';
import { type Offer, planFor } from './plan.ts';
import { runService } from './service-host.ts';

/** Plans a task from what the registered services offer, has it done through the hub, and tells how it goes. */

const input = z.object({
  task: z.string().max(100),
  goal: z.string(),
  given: z.record(z.string(), z.json()),
});
const registered = z.object({
  services: z.array(
    z.object({
      name: z.string(),
      metadata: z.object({
        actions: z
          .array(z.object({ method: z.string(), takes: z.array(z.string()), gives: z.string() }))
          .default([]),
      }),
    }),
  ),
});
const invoked = z.object({ result: z.json(), instance: z.string(), durationMs: z.number() });

const offersOf = async (hub: HubClient): Promise<readonly Offer[]> => {
  const { services } = registered.parse((await hub.request('GET', '/services?status=healthy')).body);
  return services.flatMap(({ name, metadata }) =>
    metadata.actions.map((action) => ({ ...action, service: name })),
  );
};

const sizeOf = (result: Json): string => {
  const rows = typeof result === 'object' && result !== null && 'rows' in result ? result.rows : result;
  return Array.isArray(rows) ? `${rows.length} rows` : `${JSON.stringify(result).length} bytes`;
};

runService({
  name: 'agent',
  capabilities: ['task.run'],
  methods: {
    async run(data, { hub }) {
      const { task, goal, given } = input.parse(data);
      const things = new Map(Object.entries(given));
      let invocations = 0;

      const tell = (phase: string, facts: Record<string, Json>): Promise<unknown> =>
        hub.request('POST', '/events/demo.task.progress', { body: { payload: { task, phase, ...facts } } });
      const invoke = async (service: string, method: string, data: Json) => {
        invocations++;
        const { body } = await hub.request('POST', `/services/${service}/invoke`, {
          body: { method, data, timeoutMs: 15_000 },
          timeoutMs: 16_000,
        });
        return invoked.parse(body);
      };

      const plan = planFor(goal, new Set(things.keys()), await offersOf(hub));
      if (!plan.ok) throw new Error(`nobody offers ${plan.missing.join(', ')}`);
      const stages = plan.stages.map((stage) => stage.map(({ service, method }) => `${service}.${method}`));
      await tell('planned', { goal, stages });

      const perform = async ({ service, method, takes, gives }: Offer): Promise<void> => {
        const step = `${service}.${method}`;
        await tell('started', { step });
        const data: Record<string, Json> = {};
        for (const name of takes) data[name] = things.get(name) ?? null;
        const { result, instance, durationMs } = await invoke(service, method, data);
        things.set(gives, result);
        await tell('finished', { step, gives, instance, durationMs, size: sizeOf(result) });
        // Steps of one stage end together: their notes meet in one document.
        await invoke('memory', 'append', {
          key: `${task}/notes`,
          item: { step, gives, size: sizeOf(result) },
        });
      };
      for (const stage of plan.stages) await Promise.all(stage.map(perform));

      await tell('done', { goal, invocations });
      return {
        task,
        stages,
        invocations,
        result: things.get(goal) ?? null,
        report: things.get('report') ?? null,
      };
    },
  },
});
