# Writes a header with the commit that is built, as a script at build time, so that it is never an old one:
#   cmake -DSOURCE=CHECKOUT -DHEADER=FILE -P cmake/commit.cmake
# TFJS_FTP_COMMIT is "" outside of a checkout; TFJS_FTP_MODIFIED is 1 with changes that are not committed. The file is
# left alone where it already says so.
execute_process(COMMAND git -C ${SOURCE} rev-parse HEAD
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
set(modified 0)
if(failed)
  set(commit "")
else()
  execute_process(COMMAND git -C ${SOURCE} status --porcelain --untracked-files=no
    OUTPUT_VARIABLE changes OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(changes)
    set(modified 1)
  endif()
endif()
set(text "#define TFJS_FTP_COMMIT \"${commit}\"\n#define TFJS_FTP_MODIFIED ${modified}\n")
set(before "")
if(EXISTS ${HEADER})
  file(READ ${HEADER} before)
endif()
if(NOT before STREQUAL text)
  file(WRITE ${HEADER} "${text}")
endif()
