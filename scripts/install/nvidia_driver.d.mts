/** What shows that there is an NVIDIA driver, or null. */
export function findNvidiaDriver(env: NodeJS.ProcessEnv): string | null;
/** Whether the dynamic linker finds a library. */
export function canLoad(library: string): boolean;
