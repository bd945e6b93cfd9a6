/** The first program that a build needs and that is not there, or null. */
export function missingBuildTool(): Promise<string | null>;
