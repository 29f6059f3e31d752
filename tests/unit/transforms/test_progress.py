"""What is shown of a job's progress never stops the job."""

import os
import shutil
from pathlib import Path

import pytest

from transforms.progress import Progress, ProgressFile, begin, progress


def test_a_cleaner_of_temporary_files_was_here(tmp_path: Path) -> None:
    folder = tmp_path / "el-0123/progress"
    begin(str(folder))
    worker = ProgressFile(str(folder))
    for gone in (folder, folder.parent):
        shutil.rmtree(gone)
        assert progress(str(folder)) == Progress()
        for _ in range(4096):
            worker.one(bad=False)
        begin(str(folder))
        assert folder.is_dir()
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    for _ in range(4096):
        worker.one(bad=False)
    assert progress(str(folder))[0] == 3 * 4096


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "el-0123/progress"
    folder.mkdir(parents=True)
    os.chown(folder.parent, 12345, -1)
    with pytest.raises(PermissionError, match="another user"):
        begin(str(folder))
