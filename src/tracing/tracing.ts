import {
  type Attributes,
  createTraceState,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { version } from '../version.ts';

/** A span that is under way. */
export type Activity = {
  /** W3C Trace Context: the parent of whatever comes of it. */
  readonly traceparent: string;
  /** @param fault code of what it failed with. @param late attributes that were not known at its beginning. */
  end(fault?: string, late?: Attributes & { readonly name?: string }): void;
};

export type ActivityOptions = {
  readonly kind: 'server' | 'client' | 'producer' | 'consumer' | 'internal';
  /** `traceparent` of what brought it about; without a sound one it begins a trace of its own. */
  readonly parent?: string | undefined;
  readonly tracestate?: string | undefined;
  readonly attributes?: Attributes;
};

/** Spans of OpenTelemetry, handed on as texts: through contexts, and through the metadata of events. */
export type Tracing = {
  start(name: string, options: ActivityOptions): Activity;
  /** A span without length, of what has just happened; none when `parent` was not sampled. */
  mark(name: string, options: ActivityOptions & { readonly parent: string }): void;
};

const kinds = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
} as const;

// Trace Context, section 3.2: of later versions what version 00 has is read, too.
const form = /^(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})$/;

const contextOf = ({ parent, tracestate }: ActivityOptions) => {
  const [, traceId, spanId, flags = '00'] = parent === undefined ? [] : (form.exec(parent) ?? []);
  if (traceId === undefined || spanId === undefined) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }),
  });
};

const isSampled = (traceparent: string): boolean =>
  (Number.parseInt(traceparent.slice(-2), 16) & 1) === 1 && form.test(traceparent);

/** The tracer of the provider that was registered in this process; undefined when there is none. */
const registeredTracer = (): Tracer | undefined => {
  const provider = trace.getTracerProvider();
  return provider instanceof ProxyTracerProvider
    ? provider.getDelegateTracer('nexus', version)
    : provider.getTracer('nexus', version);
};

/** Undefined when no provider is registered at this moment: then nothing is traced, and tracing costs nothing. */
export const createTracing = (tracer: Tracer | undefined = registeredTracer()): Tracing | undefined => {
  if (tracer === undefined) return undefined;

  const begin = (name: string, options: ActivityOptions) =>
    tracer.startSpan(
      name,
      { kind: kinds[options.kind], ...(options.attributes && { attributes: options.attributes }) },
      contextOf(options),
    );

  return {
    start(name, options) {
      const span = begin(name, options);
      const { traceId, spanId, traceFlags } = span.spanContext();
      return {
        traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
        end(fault, late) {
          if (late !== undefined) {
            const { name: newName, ...attributes } = late;
            if (newName !== undefined) span.updateName(newName);
            span.setAttributes(attributes);
          }
          if (fault !== undefined)
            span.setAttribute('error.type', fault).setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        },
      };
    },
    mark(name, options) {
      if (isSampled(options.parent)) begin(name, options).end();
    },
  };
};
