// A worker that executes the generic workflow without the SDK's sandbox: one V8 context on the main thread for all
// executions, instead of threads that exchange a context's globals for each of them and trace every promise. Bundle,
// runtime and activation are the SDK's own, so that commands are the same. What falls away guards against code of others
// (module state, endless loops) and shows stack traces in Temporal's UI. The context still keeps the workflow's Date,
// Math.random and setTimeout from the handlers. Uses insides of the SDK: only `worker-class.ts` loads it.
import vm from 'node:vm';
import { Worker } from '@temporalio/worker';
import type { CompiledWorkerOptions } from '@temporalio/worker/lib/worker-options.js';
import type { Workflow, WorkflowCreateOptions, WorkflowCreator } from '@temporalio/worker/lib/workflow/interface.js';
import { BaseVMWorkflow, injectGlobals, type WorkflowModule } from '@temporalio/worker/lib/workflow/vm-shared.js';
import type { WorkflowBundleWithSourceMapAndFilename } from '@temporalio/worker/lib/workflow/workflow-worker-thread/input.js';

export class UnsandboxedWorker extends Worker {
  protected static override async createWorkflowCreator(
    bundle: WorkflowBundleWithSourceMapAndFilename,
    { activities }: CompiledWorkerOptions,
  ): Promise<WorkflowCreator> {
    const context = WorkflowContext.shared(bundle);
    const activityNames = new Set(activities.keys());
    return {
      createWorkflow: async (options) => context.createWorkflow(options, activityNames),
      destroy: async () => context.release(),
    };
  }
}

/** State of one execution; the runtime in the context finds it as a global. */
type Activator = ConstructorParameters<typeof BaseVMWorkflow>[2];

const NOTHING = new vm.Script('');
const CALL = new vm.Script('__TEMPORAL__.api[__asyncjob_call.name](...__asyncjob_call.args)');

class WorkflowContext {
  /** By the code of their bundles: the workers of a process's queues share one. */
  static readonly #shared = new Map<string, WorkflowContext>();
  // Its promises have a queue of their own, which is worked off before a call into the context returns.
  readonly #context = vm.createContext({}, { microtaskMode: 'afterEvaluate' });
  readonly #bundle: WorkflowBundleWithSourceMapAndFilename;
  #users = 0;

  static shared(bundle: WorkflowBundleWithSourceMapAndFilename): WorkflowContext {
    const context = this.#shared.get(bundle.code) ?? new WorkflowContext(bundle);
    this.#shared.set(bundle.code, context);
    context.#users += 1;
    return context;
  }

  private constructor(bundle: WorkflowBundleWithSourceMapAndFilename) {
    this.#bundle = bundle;
    injectGlobals(this.#context);
    this.#context['__webpack_module_cache__'] = {};
    vm.runInContext(bundle.code, this.#context, { filename: bundle.filename });
    // Before there is an activator: what modules set up on loading would end with its execution.
    vm.runInContext('__TEMPORAL__.importWorkflows(); __TEMPORAL__.importInterceptors()', this.#context);
  }

  createWorkflow(options: WorkflowCreateOptions, registeredActivityNames: Set<string>): Workflow {
    this.#runtimeOf(undefined).initRuntime({
      ...options,
      sourceMap: this.#bundle.sourceMap,
      getTimeOfDay: () => BigInt(Date.now()) * 1_000_000n,
      registeredActivityNames,
      stackTracesEnabled: false,
    });
    const activator = this.#context['__TEMPORAL_ACTIVATOR__'] as Activator;
    return new UnsandboxedWorkflow(options.info.runId, this.#context, activator, this.#runtimeOf(activator));
  }

  /** One worker less needs it. */
  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    WorkflowContext.#shared.delete(this.#bundle.code);
    this.#runtimeOf(undefined).destroy();
  }

  /** The runtime's functions, called for the execution whose activator it is. */
  #runtimeOf(activator: Activator | undefined): WorkflowModule {
    const context = this.#context;
    const call = (name: PropertyKey, args: unknown[]): unknown => {
      context['__TEMPORAL_ACTIVATOR__'] = activator;
      context['__asyncjob_call'] = { name, args };
      try {
        return CALL.runInContext(context);
      } catch (error) {
        // What it has queued is worked off before another execution has its turn.
        NOTHING.runInContext(context);
        throw error;
      }
    };
    return new Proxy({} as WorkflowModule, {
      get:
        (_, name) =>
        (...args: unknown[]) =>
          call(name, args),
    });
  }
}

class UnsandboxedWorkflow extends BaseVMWorkflow {
  async dispose(): Promise<void> {
    this.workflowModule.dispose();
  }
}
