/**
 * One page of HTML that shows what an optimizer has done to a model: how far each variable may go from its anchor and how
 * far it went, what was learned, and the history of the training. For Node.
 *
 * The page draws its charts with Vega-Lite, whose code it holds: it needs no network, today or in ten years. `vega` and
 * `vega-lite`, 24 MB with what they need, are not installed along with this package. Those who want a report install them:
 * `npm install --save-dev vega vega-lite`.
 *
 * @module
 */

export type { ConstraintReport } from '../variables/constraint_report.js';
export type { ReportHistory, ReportOptions } from './contents.js';
export { type ReportedOptimizer, report, reportHtml } from './report.js';
