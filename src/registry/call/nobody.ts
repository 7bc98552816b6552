import { type Problem, problem } from '../../errors.ts';
import { type Instances, statusOf } from '../instance.ts';

/** Instances that a `no_healthy_instance` names. */
const maxNamed = 20;

/** Why there is nobody to call: `service_not_found`, else `no_healthy_instance` with the status of each. */
export const nobodyFor = (instances: Instances, name: string, capability: string | undefined): Problem => {
  const named: { readonly id: string; readonly status: string }[] = [];
  for (const instance of instances.byName(name)) {
    if (named.length === maxNamed) break;
    named.push({ id: instance.id, status: statusOf(instance) });
  }
  if (named.length === 0)
    return problem('service_not_found', `no service is registered as ${name}`, { service: name });
  const wanted = capability === undefined ? '' : ` with the capability ${capability}`;
  return problem('no_healthy_instance', `no instance of ${name}${wanted} is healthy`, {
    service: name,
    ...(capability === undefined ? {} : { capability }),
    instances: named,
  });
};
