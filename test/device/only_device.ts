/** Imported first by a test file, it makes the suites that are imported behind it run on a CUDA device alone. */
import './device.js';

process.env.TFJS_FTP_TEST_ONLY = 'tfjs-ftp/native on a CUDA device';
