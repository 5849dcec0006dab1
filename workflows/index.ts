// The workflow bundle's entry. The default export is Temporal's dynamic workflow: it serves every workflow type that
// has no export of its own here, which is every job type. In a bundle of one's own that has a default workflow already,
// each job type gets an export instead: `export { jobWorkflow as MyJob } from 'asyncjob/workflows'`.
export { jobWorkflow, jobWorkflow as default } from './job-workflow.ts';
// Workflow types are names of exports.
export { laneWorkflow as 'asyncjob.lane' } from './lane-workflow.ts';
