from posekit.calibration.gauge import *
from posekit.calibration.people import calibrate_from_people, guess_intrinsics
