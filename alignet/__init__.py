import os

# threads of OpenMP that wait must not take the processor from others: on a busy machine training was 50 times slower.
# It is read when PyTorch starts its threads, so it counts if alignet is imported first
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

__version__ = "0.1.0"
