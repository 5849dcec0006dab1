// Turns what the Temporal client throws into errors that say where Temporal was looked for and what to do.
import { ActivityNotFoundError, isGrpcServiceError } from '@temporalio/client';
import { NamespaceNotFoundError, WorkflowNotFoundError } from '@temporalio/common';
import { AsyncJobError } from '../domain/errors.ts';

/** Where Temporal is, for messages. */
export interface TemporalTarget {
  address: string;
  namespace: string;
}

const GRPC = {
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  UNAUTHENTICATED: 16,
} as const;

/** Answers of a Temporal that is there. */
const ANSWERS: readonly number[] = [GRPC.INVALID_ARGUMENT, GRPC.NOT_FOUND, GRPC.FAILED_PRECONDITION];

/** `temporal.unavailable`, `temporal.namespace` or `temporal.unsupported`; what is neither (a wrong argument, a bug) comes back as it is. */
export function toTemporalError(error: unknown, target: TemporalTarget): unknown {
  if (error instanceof AsyncJobError) return error;
  if (isNamespaceNotFound(error)) return namespaceNotFound(target, error);
  const grpc = grpcErrorOf(error);
  if (grpc === undefined || ANSWERS.includes(grpc.code)) return error;
  if (grpc.code === GRPC.UNIMPLEMENTED) return unsupported(target, error);
  // What gRPC says about a deadline is about its last attempt only.
  const details = grpc.code === GRPC.DEADLINE_EXCEEDED ? '' : ` (${grpc.details || grpc.message})`;
  return new AsyncJobError('temporal.unavailable', `${reasonOf(grpc.code, target)}${details}`, { cause: error });
}

export function unavailable({ address, namespace }: TemporalTarget, detail: string, cause?: unknown): AsyncJobError {
  return new AsyncJobError('temporal.unavailable', `no Temporal at ${address} (namespace '${namespace}'): ${detail}. ${ADVICE}`, { cause });
}

export function namespaceNotFound({ address, namespace }: TemporalTarget, cause?: unknown): AsyncJobError {
  const advice = `Create it (temporal operator namespace create --namespace ${namespace}), or name another one with TEMPORAL_NAMESPACE or temporal.namespace`;
  return new AsyncJobError('temporal.namespace', `Temporal at ${address} has no namespace '${namespace}'. ${advice}.`, { cause });
}

function unsupported({ address }: TemporalTarget, cause: unknown): AsyncJobError {
  return new AsyncJobError(
    'temporal.unsupported',
    `Temporal at ${address} does not know this call. Standalone activities (engine: 'activity') need server 1.32 or newer: upgrade it, or use engine: 'workflow'.`,
    { cause },
  );
}

/** Whether the answer means that it has been done already, or cannot be any more. */
export function isAlreadyDone(error: unknown): boolean {
  return grpcErrorOf(error)?.code === GRPC.FAILED_PRECONDITION;
}

/** Whether the answer means that the execution does not exist, or not any more. */
export function isExecutionNotFound(error: unknown): boolean {
  if (isNamespaceNotFound(error)) return false;
  return error instanceof WorkflowNotFoundError || error instanceof ActivityNotFoundError || grpcErrorOf(error)?.code === GRPC.NOT_FOUND;
}

export function isNamespaceNotFound(error: unknown): boolean {
  if (error instanceof NamespaceNotFoundError) return true;
  const grpc = grpcErrorOf(error);
  return grpc?.code === GRPC.NOT_FOUND && /\bnamespace .*not found/i.test(grpc.details || grpc.message);
}

const ADVICE =
  'Start it (for development: temporal server start-dev), or set TEMPORAL_ADDRESS or temporal.address; committed jobs are dispatched once it is back';

function reasonOf(code: number, { address, namespace }: TemporalTarget): string {
  switch (code) {
    case GRPC.DEADLINE_EXCEEDED:
      return `Temporal at ${address} (namespace '${namespace}') did not answer in time. ${ADVICE}`;
    case GRPC.PERMISSION_DENIED:
    case GRPC.UNAUTHENTICATED:
      return `Temporal at ${address} refused the credentials for namespace '${namespace}'. Check TEMPORAL_API_KEY or temporal.apiKey, and temporal.tls`;
    case GRPC.RESOURCE_EXHAUSTED:
      return `Temporal at ${address} takes no more calls for namespace '${namespace}' now. Raise its rate limits, or enqueue more slowly`;
    default:
      return `no Temporal at ${address} (namespace '${namespace}'). ${ADVICE}`;
  }
}

interface GrpcError {
  code: number;
  details?: string;
  message: string;
}

/** The gRPC error itself, or the cause of the SDK's ServiceError. */
function grpcErrorOf(error: unknown): GrpcError | undefined {
  if (isGrpcServiceError(error)) return error;
  const cause = error instanceof Error ? error.cause : undefined;
  return isGrpcServiceError(cause) ? cause : undefined;
}
