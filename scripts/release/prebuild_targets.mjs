// For which platforms an addon can be built where, and with which tools.

/**
 * @typedef {object} Cross tools that build for Linux on another architecture
 * @property {string} host `<platform>-<arch>` where they run
 * @property {string} prefix of the GNU tools' names
 * @property {string} processor in CMake's words
 * @property {string} emulator runs programs of the target
 * @property {string} libraries folder with the target's C library, for the emulator
 * @property {string} packages Debian packages that hold all this
 */

/** Cross builds that are known to work; every other target is built on a machine of its own kind. */
export const CROSS_BUILDS = {
  'linux-arm64': {
    host: 'linux-x64',
    prefix: 'aarch64-linux-gnu-',
    processor: 'aarch64',
    emulator: 'qemu-aarch64',
    libraries: '/usr/aarch64-linux-gnu',
    packages: 'g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user',
  },
};

/** This machine, as folders of prebuilds are named. */
export const HOST = `${process.platform}-${process.arch}`;

/** How to install the tools of a cross build. */
export function crossAdvice({ packages }) {
  return `Install them: sudo apt-get install -y ${packages}`;
}

/** Environment that makes node-gyp and nvcc's helper build with these tools. */
export function crossEnvironment({ prefix }) {
  return { CC: `${prefix}gcc`, CXX: `${prefix}g++`, AR: `${prefix}ar`, TFJS_FTP_CUDA: 'OFF' };
}
