// What a job's workflow does, once more in Temporal's sandbox.
process.env['ASYNCJOB_WORKFLOW_SANDBOX'] = 'true';
await import('./job-workflow.test.ts');
