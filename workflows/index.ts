// The workflow bundle's entry. The default export is Temporal's dynamic workflow: it serves every workflow type that
// has no export of its own here, which is every job type. In a bundle of one's own: `export { default } from 'asyncjob/workflows'`.
export { jobWorkflow as default } from './job-workflow.ts';
