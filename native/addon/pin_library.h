// Keeps this library loaded until the process ends.
#ifndef TFJS_FTP_ADDON_PIN_LIBRARY_H_
#define TFJS_FTP_ADDON_PIN_LIBRARY_H_

namespace tfjs_ftp {

// Node unloads an addon when the last environment (worker thread) that loaded it ends, but
// TensorFlow keeps pointers to our kernels, and the pool's threads run our code.
void PinThisLibrary();

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_ADDON_PIN_LIBRARY_H_
