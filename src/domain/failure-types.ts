// Types of the failures by which an attempt speaks to the workflow and the server without a verdict on the job.
// They are part of histories: never rename one. Verdicts travel with the error's own code or name instead.

/** The row is REVOKED, by this attempt or before it: the workflow closes as cancelled. */
export const REVOKED_FAILURE = 'asyncjob.revoked';
/** The attempt was given back (shutdown, pause): another one follows soon. */
export const HANDED_BACK_FAILURE = 'asyncjob.handed_back';
/** The row knows a newer attempt number: the next number follows at once. */
export const BEHIND_FAILURE = 'asyncjob.behind';
/** There is no row: the workflow ends without a last word. */
export const NOT_FOUND_FAILURE = 'job.not_found';
