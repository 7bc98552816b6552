import { type BundleInput, bundle } from './bundle.ts';

/** What bundler.ts starts: bundles what it is sent, one after the other, and ends with the hub. */

process.on('message', (input: BundleInput) => {
  void bundle(input).then((bundled) => process.send?.(bundled));
});
process.on('disconnect', () => process.exit(0));
